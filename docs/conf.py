"""How the documentation becomes a site: scripts/docs."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))  # a page of options is made from the files of conf/
from option_pages import write_pages  # noqa: E402

project = "Digits"
author = "The authors of Digits"
project_copyright = author

extensions = ["myst_parser"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
exclude_patterns = ["results/**", "pictures/**"]

html_theme = "furo"
html_title = project
html_show_sphinx = False
html_copy_source = False
html_static_path: list[str] = []

write_pages(HERE.parent / "conf", HERE / "groups")
