"""From files to checked models: YAML with places, sections, settings. Imports no network and renders nothing."""
