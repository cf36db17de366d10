"""The commands, and what they share: flags, checks, folders, messages."""
