package change

// dates is when a release that is merged now reaches each wave: those of the
// first cycle whose cut-off is still to come.
func (c *comparison) dates() error { return nil }
