"""The company's CRM over HTTP: a stand-in for Salesforce, as strict as it about what a query may ask."""
