"""Tables, files and arrays on their way to numeric arrays, with every complaint in words."""
