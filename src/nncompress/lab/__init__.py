"""The lab: stages known by content, their store, and the records they leave."""
