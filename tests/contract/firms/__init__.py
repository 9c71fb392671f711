"""The same small firm told in every kind of CRM: a module here with a ``FIRM``, called like the kind."""
