import DefaultTheme from 'vitepress/theme-without-fonts';
import 'pocket-diffusion/element';
import 'pocket-diffusion/element.css';

export default DefaultTheme;
