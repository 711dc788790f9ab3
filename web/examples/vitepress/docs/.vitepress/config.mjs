export default {
  title: 'Pictures in VitePress',
  vue: { template: { compilerOptions: { isCustomElement: (tag) => tag === 'pocket-diffusion' } } },
};
