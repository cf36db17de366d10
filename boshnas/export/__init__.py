"""An architecture of a run as a Hugging Face model that loads anywhere."""
