package world

// The world's repository on its forge.
const (
	Owner = "example-msp"
	Name  = "packages"
)

// The accounts of the forge. Tokens are of no use outside the world.
const (
	Bot     = "packmill"  // the tool's own account
	Ines    = "ines-lind" // first release manager
	Oskar   = "oskar-ek"  // second release manager
	BotMail = "packmill@example-msp.example"
)

// Token is the access token of an account.
func Token(login string) string { return "world-token-" + login }
