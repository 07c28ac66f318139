"""How the course becomes a web site: pages are assembled, notebooks turned into pages, terms linked."""
