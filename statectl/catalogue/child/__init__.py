"""The process that renders: jinja2 in a sandbox, without files, network, environment or secrets.

It is started by `catalogue/render.py`, is told everything over its standard input and answers on its standard output. It imports
jinja2, the standard library, `project.scalars` and nothing else of statectl. Whatever it says is checked by the parent.
"""
