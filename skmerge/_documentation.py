"""Where the HTML representation of an estimator finds its page of the documentation."""

SITE = ""  # address of the published documentation, with a slash at its end; none is published yet


class Documented:
    """Mixin: links the HTML representation to the class's page by scikit-learn's mechanism; no link without a site."""

    _doc_link_module = "skmerge"
    _doc_link_template = SITE and SITE + "api/skmerge.{estimator_name}.html"
