"""Audits that others ran: the directories of a submission tree, and what the tests have in common."""
