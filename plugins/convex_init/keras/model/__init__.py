"""A model of Keras as its port needs it: how it is called, what it takes, and its variables by name."""
