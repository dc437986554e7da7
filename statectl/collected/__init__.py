"""Collected inventory on the controller: what hosts tell is checked and kept, and questions about it are answered from the store."""
