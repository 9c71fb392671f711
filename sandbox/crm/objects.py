"""What the CRM knows: its objects, their fields, and what a query may do with each field.

Names, types and the flags filterable, groupable and aggregatable are Salesforce's (Object Reference for the Salesforce
Platform, the pages User, UserLogin, LoginHistory, Opportunity, OpportunityFieldHistory, Task, Event, Account, Contact
and Lead). Only what an adoption bot asks for is here; a field that is not here is refused as one that does not exist.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

#: Per type: filterable, sortable, groupable, aggregatable (what `describe` says of an ordinary field of this type).
_FLAGS = {
    "id": (True, True, True, True),
    "reference": (True, True, True, True),
    "string": (True, True, True, True),
    "email": (True, True, True, True),
    "picklist": (True, True, True, True),
    "boolean": (True, True, True, False),
    "int": (True, True, True, True),
    "date": (True, True, True, True),
    "datetime": (True, True, False, True),
    "currency": (True, True, False, True),
}


@dataclass(frozen=True, slots=True)
class Field:
    """One field. `refers` is the object that a reference points to; `column` the column that holds it."""

    name: str
    type: str
    filterable: bool
    sortable: bool
    groupable: bool
    aggregatable: bool
    refers: str = ""
    column: str = ""

    @property
    def is_text(self) -> bool:
        """Compared without regard to case, as Salesforce compares text (but not ids)."""
        return self.type in ("string", "email", "picklist")


@dataclass(frozen=True, slots=True)
class SObject:
    """One object. `paths` are the fields reached through a relationship: to a column, or (None) to a related record."""

    name: str
    prefix: str
    fields: dict[str, Field]
    paths: dict[str, Field]
    hidden: tuple[str, ...] = ()

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of its table."""
        return (*self.fields, *self.hidden)

    def field(self, name: str) -> Field | None:
        """The field of this name, whatever its case, as in SOQL."""
        return _FOLDED[self.name].get(name.lower())

    def path(self, name: str) -> Field | None:
        """The field behind a path such as Account.Name, whatever its case."""
        return next((found for path, found in self.paths.items() if path.lower() == name.lower()), None)


def _field(name: str, kind: str, refers: str = "", column: str = "") -> Field:
    return Field(name, kind, *_FLAGS[kind], refers, column or name)


def _fields(text: str) -> dict[str, Field]:
    """`Name:type` or `Name:reference>Object`, separated by blanks."""
    found: dict[str, Field] = {}
    for part in text.split():
        name, _, rest = part.partition(":")
        kind, _, refers = rest.partition(">")
        found[name] = _field(name, kind, refers)
    return found


_TRACE = (
    " CreatedById:reference>User CreatedDate:datetime"
    " LastModifiedById:reference>User LastModifiedDate:datetime SystemModstamp:datetime"
)


def _object(
    name: str, prefix: str, text: str, paths: dict[str, Field] | None = None, hidden: tuple[str, ...] = ()
) -> SObject:
    return SObject(name, prefix, _fields("Id:id " + text), paths or {}, hidden)


def _only_group_and_sort(thing: SObject, *names: str) -> SObject:
    """The object with some fields that no condition may name and no function may count."""
    fields = {
        name: replace(field, filterable=False, aggregatable=False) if name in names else field
        for name, field in thing.fields.items()
    }
    return replace(thing, fields=fields)


def _values_only_shown(thing: SObject) -> SObject:
    """The history of an object: its old and new values are of any type, and no condition, group or order may name them."""
    fields = {
        name: replace(field, filterable=False, sortable=False, groupable=False, aggregatable=False)
        if name in ("OldValue", "NewValue")
        else field
        for name, field in thing.fields.items()
    }
    return replace(thing, fields=fields)


OBJECTS: dict[str, SObject] = {
    thing.name: thing
    for thing in (
        _object(
            "User",
            "005",
            "Name:string Email:email Username:string FederationIdentifier:string IsActive:boolean UserType:picklist"
            " ManagerId:reference>User Department:string Title:string TimeZoneSidKey:picklist LocaleSidKey:picklist"
            + _TRACE,
            {
                "Profile.Name": _field("Profile.Name", "string", column="ProfileName"),
                "Profile.UserLicense.Name": _field(
                    "Profile.UserLicense.Name", "string", column="LicenseName"
                ),
                "UserRole.Name": _field("UserRole.Name", "string", column="UserRoleName"),
            },
            ("ProfileName", "LicenseName", "UserRoleName"),
        ),
        _object("UserLogin", "0Yw", "UserId:reference>User IsFrozen:boolean"),
        _object(
            "PermissionSetAssignment",
            "0Pa",
            "AssigneeId:reference>User PermissionSetId:reference",
            {
                "PermissionSet.PermissionsViewAllData": _field(
                    "PermissionSet.PermissionsViewAllData", "boolean", column="ViewAllData"
                )
            },
            ("ViewAllData",),
        ),
        _object(
            "ObjectPermissions",
            "110",
            "ParentId:reference SobjectType:picklist PermissionsRead:boolean PermissionsViewAllRecords:boolean",
        ),
        _object("Account", "001", "Name:string OwnerId:reference>User" + _TRACE),
        _object(
            "Contact",
            "003",
            "Name:string Email:email OwnerId:reference>User AccountId:reference>Account" + _TRACE,
        ),
        _object(
            "Lead",
            "00Q",
            "Name:string Email:email Company:string OwnerId:reference>User Status:picklist IsConverted:boolean"
            + _TRACE,
        ),
        _object(
            "Opportunity",
            "006",
            "Name:string OwnerId:reference>User AccountId:reference>Account StageName:picklist Amount:currency"
            " CloseDate:date NextStep:string IsClosed:boolean IsWon:boolean LastActivityDate:date"
            " LastStageChangeDate:datetime PushCount:int" + _TRACE,
            {"Account.Name": _field("Account.Name", "string", "Account", "AccountId")},
        ),
        _object(
            "Task",
            "00T",
            "OwnerId:reference>User WhatId:reference>Opportunity Subject:string TaskSubtype:picklist"
            " ActivityDate:date IsClosed:boolean CompletedDateTime:datetime" + _TRACE,
        ),
        _object(
            "Event",
            "00U",
            "OwnerId:reference>User WhatId:reference>Opportunity Subject:string StartDateTime:datetime"
            " IsChild:boolean" + _TRACE,
        ),
        # The page LoginHistory: Status and Application have the properties Group and Sort and no Filter;
        # LoginTime has Filter and Sort and no Group.
        _only_group_and_sort(
            _object(
                "LoginHistory",
                "0Ya",
                "UserId:reference>User LoginTime:datetime LoginType:picklist Status:string Application:string",
            ),
            "Status",
            "Application",
        ),
        _values_only_shown(
            _object(
                "OpportunityFieldHistory",
                "017",
                "OpportunityId:reference>Opportunity Field:picklist OldValue:string NewValue:string"
                " CreatedById:reference>User CreatedDate:datetime",
            )
        ),
        _object(
            "Case",
            "500",
            "Subject:string OwnerId:reference>User AccountId:reference>Account Status:picklist IsClosed:boolean"
            + _TRACE,
        ),
        *(
            _values_only_shown(
                _object(
                    f"{kind}History",
                    "017",
                    f"{kind}Id:reference>{kind} Field:picklist OldValue:string NewValue:string"
                    " CreatedById:reference>User CreatedDate:datetime",
                )
            )
            for kind in ("Account", "Contact", "Lead", "Case")
        ),
        _object(
            "ForecastingQuota",
            "0J9",
            "QuotaOwnerId:reference>User ForecastingTypeId:reference StartDate:date QuotaAmount:currency"
            + _TRACE,
        ),
        # The pages LightningUsageByPageMetrics and LightningUsageByAppTypeMetrics.
        _object(
            "LightningUsageByPageMetrics",
            "0Ls",
            "UserId:reference>User MetricsDate:date PageName:string TotalCount:int",
        ),
        _object(
            "LightningUsageByAppTypeMetrics",
            "0Lu",
            "UserId:reference>User MetricsDate:date AppExperience:string",
        ),
    )
}
_FOLDED = {
    thing.name: {name.lower(): field for name, field in thing.fields.items()} for thing in OBJECTS.values()
}
_BY_NAME = {name.lower(): thing for name, thing in OBJECTS.items()}


def object_named(name: str) -> SObject | None:
    """The object of this name, whatever its case."""
    return _BY_NAME.get(name.lower())


#: The steps that end an opportunity.
WON = "Closed Won"
LOST = "Closed Lost"
#: The steps that this organisation has set up, in their order.
STEPS = ("Prospecting", "Qualification", "Proposal", "Negotiation", "Contract", WON, LOST)
#: The fields of an opportunity whose changes are kept in OpportunityFieldHistory.
TRACKED = ("StageName", "CloseDate", "NextStep", "Amount", "AccountId")
#: The same of other objects: object -> the history, and the fields. A history has rows only of what is tracked.
HISTORIES = {
    "Opportunity": ("OpportunityFieldHistory", TRACKED),
    "Account": ("AccountHistory", ("Name", "OwnerId")),
    "Contact": ("ContactHistory", ("Name", "Email", "OwnerId")),
    "Lead": ("LeadHistory", ("Status", "OwnerId")),
    "Case": ("CaseHistory", ("Status", "OwnerId")),
}
#: What an organisation that only sells has not bought, or not turned on.
EXTRAS = frozenset(
    {
        *("Case", "AccountHistory", "ContactHistory", "LeadHistory", "CaseHistory", "ForecastingQuota"),
        *("LightningUsageByPageMetrics", "LightningUsageByAppTypeMetrics"),
    }
)
