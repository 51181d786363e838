"""The control plane: knows which agents are there, passes calls on to them, and gives them orders."""
