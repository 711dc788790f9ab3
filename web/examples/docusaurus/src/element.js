import 'pocket-diffusion/element';
import 'pocket-diffusion/element.css';
