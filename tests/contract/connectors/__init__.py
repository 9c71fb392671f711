"""One world for each kind of connector: a module here with a ``WORLD``, called like the kind."""
