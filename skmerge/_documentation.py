"""Where the HTML representation of an estimator finds its page of the documentation."""

from pathlib import Path

SITE = ""  # address of the published documentation, with a slash at its end; none is published yet
BUILT = Path(__file__).parents[1] / "doc" / "_build" / "html"  # what the documented command builds in a checkout


def template():
    """Address of an estimator's page, published or built beside the package; empty where there is neither."""
    site = SITE or (f"{BUILT.as_uri()}/" if (BUILT / "api").is_dir() else "")
    return site and site + "api/skmerge.{estimator_name}.html"


class Documented:
    """Mixin: links the HTML representation to the class's page by scikit-learn's mechanism."""

    _doc_link_module = "skmerge"
    _doc_link_template = template()
