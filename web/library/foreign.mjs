// What other programs of the field call our options. The page's own bundle goes without: it names them itself.

/** Our name, then what others call it, in small letters without separators. A name may stand in several lines. */
export const FOREIGN = `guidanceScale condscale cfg cfgscale guidance scale unconditionalguidancescale
guidanceWeight w cfgweight
steps numinferencesteps numsteps nsteps samplingtimesteps samplingsteps inferencesteps timesteps ddimsteps
sampler scheduler solver method
eta eps ddimeta ddimsamplingeta
noise eps epsilon latents xt
rescale rescaledphi guidancerescale phi
projection removeparallelcomponent apg
keepParallel keepparallelfrac
cfgPlusPlus usecfgplusplus
label prompt class classes classlabel classlabels labels classid y
negativeLabel negativeprompt negativeclass
count numimagesperprompt numimages numsamples nsamples batchsize
seed generator randomseed manualseed
image initimage inputimage
strength denoisingstrength
mask maskimage
dynamicThreshold thresholding dynamicthresholding
timeGrid timestepspacing
classMix mix
onStep callback callbackonstepend onprogress
signal abortsignal
onProgress progress
workers threads
sha256 hash integrity`.split('\n').map((line) => line.split(' '));
