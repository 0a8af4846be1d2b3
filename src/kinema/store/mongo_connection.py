"""A server of MongoDB by its URL."""

from typing import Any, Final

from kinema.errors import ConfigError
from kinema.extras import require

_PATIENCE_MS: Final = 5000
_SAFE: Final = {"appname": "kinema", "w": "majority", "journal": True, "readConcernLevel": "majority"}


def connected(url: str) -> tuple[Any, Any]:
    """A client, which has asked nothing yet, and the database that the URL names.

    Raises:
        ConfigError: The URL is not one, or names no database. Its text never shows the URL.
    """
    try:
        name = require("pymongo.uri_parser").parse_uri(url)["database"]
        if name is not None:
            client = require("pymongo").MongoClient(url, **_SAFE, serverSelectionTimeoutMS=_PATIENCE_MS)
            return client, client[name]
    except (require("pymongo").errors.PyMongoError, ValueError):
        pass
    raise ConfigError("the store's url must be mongodb://USER@HOST/NAME with the name of a database")
