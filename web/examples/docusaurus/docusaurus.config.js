export default {
  title: 'Pictures in Docusaurus',
  url: 'https://example.org',
  baseUrl: '/',
  presets: [['classic', { docs: { routeBasePath: '/' }, blog: false }]],
  clientModules: ['./src/element.js'],
};
