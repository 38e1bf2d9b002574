"""The operations page: what an operator looks at and does, in a browser. Server-rendered; works without JavaScript."""
