/* Elementary functions in double precision with the same bits on every
 * platform: only IEEE additions, multiplications, divisions and square roots,
 * in a fixed order (a C library's versions differ between systems). Relative
 * error below 1e-14 unless said otherwise. */
#ifndef PD_ELEMENTARY_H
#define PD_ELEMENTARY_H

double pd_exp(double x);  /* 0 below -745, infinity above 709.78 */
double pd_log(double x);  /* x > 0, finite */
double pd_sin(double x);  /* |x| <= 1e6; absolute error below 1e-12 */
double pd_cos(double x);
double pd_erf(double x);  /* absolute error below 1e-12 */
double pd_sqrt(double x);
float pd_sqrtf(float x);

#endif
