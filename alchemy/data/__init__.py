"""What a problem, a row and a shift are: integer arrays with roles, on numpy alone."""
