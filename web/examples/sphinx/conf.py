project = "Pictures in Sphinx"
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["pocket-diffusion/pocket-diffusion.css"]
html_js_files = [("pocket-diffusion/pocket-diffusion.js", {"type": "module"})]
