"""The files people bring: how they become arrays and streams, and files again."""
