"""Salesforce's way of saying no: an HTTP status and `[{"message": ..., "errorCode": ...}]`.

Source of the codes: REST API Developer Guide, "Status Codes and Error Responses"; SOAP API Developer Guide,
"ExceptionCode"; the wordings are those that clients in the field match on.
"""

from __future__ import annotations

Json = dict[str, object]


class Refused(Exception):
    """A request that the CRM refuses. `html` stands in for the body where no JSON comes."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        status: int = 400,
        headers: dict[str, str] | None = None,
        html: str = "",
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.headers = headers or {}
        self.html = html

    def body(self) -> list[Json]:
        """The JSON list that Salesforce answers with."""
        return [{"message": self.message, "errorCode": self.code}]


class Unauthorized(Exception):
    """A login that the token endpoint refuses; its error is an object, not a list (RFC 6749, 5.2)."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(f"{error}: {description}")
        self.error = error
        self.description = description

    def body(self) -> Json:
        """The JSON object that the token endpoint answers with."""
        return {"error": self.error, "error_description": self.description}


def not_found() -> Refused:
    """There is nothing at this address."""
    return Refused("NOT_FOUND", "The requested resource does not exist", status=404)


def session_expired() -> Refused:
    """A token that is unknown, or older than a session lasts."""
    return Refused("INVALID_SESSION_ID", "Session expired or invalid", status=401)


def query_timeout(status: int = 400) -> Refused:
    """A query that took too long; both statuses are seen in the field."""
    return Refused("QUERY_TIMEOUT", "Your query request was running for too long.", status=status)


def request_limit() -> Refused:
    """The organisation has used up its requests of the last 24 hours."""
    return Refused("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.", status=403)


def forbidden() -> Refused:
    """An object that this user may know of and not read."""
    return Refused("INSUFFICIENT_ACCESS", "insufficient access rights on cross-reference id", status=403)


def unsupported_type(name: str, context: str = "") -> Refused:
    """An object that does not exist, or that this user may not see: Salesforce tells no difference."""
    return Refused(
        "INVALID_TYPE",
        f"{context}sObject type '{name}' is not supported. If you are attempting to use a custom object, be sure to append"
        " the '__c' after the entity name. Please reference your WSDL or the describe call for the appropriate names.",
    )


def no_such_column(name: str, entity: str, context: str = "") -> Refused:
    """A field that does not exist, or that this user may not see: Salesforce tells no difference."""
    return Refused(
        "INVALID_FIELD",
        f"{context}No such column '{name}' on entity '{entity}'. If you are attempting to use a custom field, be sure to"
        " append the '__c' after the custom field name. Please reference your WSDL or the describe call for the appropriate"
        " names.",
    )


def no_such_relationship(name: str, context: str = "") -> Refused:
    """A path through a relationship that does not exist, or leads to an object that this user may not see."""
    return Refused(
        "INVALID_FIELD",
        f"{context}Didn't understand relationship '{name}' in field path. If you are attempting to use a custom relationship,"
        " be sure to append the '__r' after the custom relationship name. Please reference your WSDL or the describe call"
        " for the appropriate names.",
    )
