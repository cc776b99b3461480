"""The sections of the report: what each one shows, one file a section. The terminal prints the same facts."""
