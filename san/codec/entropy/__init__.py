"""From integers and decisions to bytes and back."""
