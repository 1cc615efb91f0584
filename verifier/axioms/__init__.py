"""Questions about overseers of which only axioms and answers are known: asked, covered, written down."""
