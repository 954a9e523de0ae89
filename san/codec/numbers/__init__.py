"""From numbers of any dtype to integers and back, and how far they are off."""
