"""What each family can be told on the command line: one table a family, by the words of run.json.

A table holds the names of the methods and the options of their family: how each is read, what it is where
nobody says it, and its words in the help. The parsers, the defaults, what is refused beside another family,
and what run.json records are made of the tables: a new family is a table here, a line in `families.SETTINGS`,
and nothing in `commands`. What settings mean is the family's to say (`Family.settled`, `made`, `begin`).

The tables stand here and not in the folders of the families because a --help imports nothing of a family.
"""

from amtl_cvx.families.settings.table import SHARED, Setting, Settings

__all__ = ["SHARED", "Setting", "Settings"]
