"""URLs of databases that mirror a study, and what may be said of them: never a password."""

from __future__ import annotations

from urllib.parse import quote, quote_plus

import optuna
import sqlalchemy

from autokd.errors import MissingDependency, UserError

DRIVERS = {
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
    "sqlite": "sqlite",
}
"""What the beginning of a URL may be, and SQLAlchemy's name for it."""
SECRETS = ("password", "sslpassword")
"""Keys of a URL's query that hold a password."""


def database_url(text: str) -> sqlalchemy.URL:
    """Return the URL of a mirror's database with the driver to be used.

    Args:
      text: postgresql://USER:PASSWORD@HOST/NAME, or sqlite:///FILE.

    Raises:
      UserError: it is no such URL; the message does not repeat it, since it may hold a password.
      MissingDependency: the driver is not installed.
    """
    try:
        url = sqlalchemy.make_url(text)
        url = url.set(drivername=DRIVERS[url.drivername])
    except (ValueError, KeyError, sqlalchemy.exc.ArgumentError):
        scheme = text.partition("://")[0] if "://" in text else ""
        raise UserError(
            f"--storage {scheme + '://…' if scheme else '…'}: not the URL of a database that can mirror a study; "
            "use postgresql://USER:PASSWORD@HOST/NAME or sqlite:///FILE"
        ) from None
    if url.drivername == "sqlite" and url.database in (None, "", ":memory:"):
        raise UserError("--storage sqlite://: it names no file; use sqlite:///FILE")
    try:
        url.get_dialect().import_dbapi()
    except (ImportError, sqlalchemy.exc.NoSuchModuleError):
        raise MissingDependency("psycopg", "postgres") from None
    return url


def mask_passwords(text: str) -> str:
    """Return a database's URL with its passwords replaced, to be shown or kept."""
    url = sqlalchemy.make_url(text)
    hidden = {key: "***" for key in SECRETS if key in url.query}
    return url.update_query_dict(hidden).render_as_string(hide_password=True)


def describe_error(error: BaseException, storage: str | None) -> str:
    """Return an error's first line without passwords; Optuna's own hides the database's behind it.

    Args:
      error: what went wrong.
      storage: URL of the database, or None.
    """
    if isinstance(error, optuna.exceptions.StorageInternalError) and error.__cause__ is not None:
        error = error.__cause__
    text = (str(error).strip().splitlines() or [type(error).__name__])[0]
    for secret in _secrets(storage):
        for form in (secret, quote(secret, safe=""), quote_plus(secret)):
            text = text.replace(form, "***")
    return text


def _secrets(storage: str | None) -> list[str]:
    if storage is None:
        return []
    url = sqlalchemy.make_url(storage)
    secrets = [url.password, *(url.query.get(key) for key in SECRETS)]
    return [str(secret) for secret in secrets if secret]
