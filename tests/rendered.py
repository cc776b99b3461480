"""What every report needs is made once: the fork server imports this module."""

from __future__ import annotations

from autokd.report.page import packed_plotly, templates
from autokd.report.sections import sections

packed_plotly()
for name in ("page.html.jinja", *(section.template for section in sections())):
    templates().get_template(name)
