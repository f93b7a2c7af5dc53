package msi

// A CustomAction is a row of the CustomAction table.
type CustomAction struct {
	ID   string
	Type int // as stored; the fields below are read from it

	Kind   ActionKind
	From   string // where the code is: binary, file, directory, property, or inline
	Source string // a key of the Binary, File or Directory table, or a property
	// Target is a function's name, a command line, a script or a text; "" where
	// the author hides it from logs, because it may hold secrets.
	Target string

	Deferred      bool // it runs in the installation script, not while that is made
	Rollback      bool // it runs when the installation fails
	Commit        bool // it runs when the installation has succeeded
	NoImpersonate bool // a deferred action runs as SYSTEM
	Asynchronous  bool
	IgnoreFailure bool
	Hidden        bool // Target is not to be shown
}

// An ActionKind says what a custom action does.
type ActionKind string

// The kinds of custom actions: the Windows Installer reference, "Summary List of
// All Custom Action Types".
const (
	ActionDLL       ActionKind = "dll"
	ActionEXE       ActionKind = "exe"
	ActionJScript   ActionKind = "jscript"
	ActionVBScript  ActionKind = "vbscript"
	ActionError     ActionKind = "error"     // ends the installation with a message
	ActionDirectory ActionKind = "directory" // sets a folder
	ActionProperty  ActionKind = "property"  // sets a property
	ActionInstall   ActionKind = "install"   // another MSI within this one
	ActionUnknown   ActionKind = "unknown"
)

// RunsCode says whether the action runs code that the package's author brings
// or names. An unknown action may.
func (a CustomAction) RunsCode() bool {
	switch a.Kind {
	case ActionError, ActionDirectory, ActionProperty:
		return false
	default:
		return true
	}
}

// Bits of a custom action's type.
const (
	actionKind          = 0x0007
	actionFrom          = 0x0030
	actionContinue      = 0x0040
	actionAsync         = 0x0080
	actionRollback      = 0x0100
	actionCommit        = 0x0200
	actionInScript      = 0x0400
	actionNoImpersonate = 0x0800
	actionHide          = 0x2000
)

// CustomActions reads the CustomAction table, in its order. An action that no
// sequence names is listed too: a dialog or another action may run it.
func (f *File) CustomActions() ([]CustomAction, error) {
	var list []CustomAction
	return list, f.view("CustomAction", []string{"Action", "Type", "Source", "Target"}, func(r Row, c []int) error {
		kind, _ := r.Int(c[1])
		bits := kind & 0xffff // a column of 16 bits is signed
		a := CustomAction{
			ID:            r.Text(c[0]),
			Type:          bits,
			Source:        r.Text(c[2]),
			Target:        r.Text(c[3]),
			Deferred:      bits&actionInScript != 0,
			NoImpersonate: bits&actionInScript != 0 && bits&actionNoImpersonate != 0,
			Asynchronous:  bits&actionAsync != 0,
			IgnoreFailure: bits&actionContinue != 0,
			Hidden:        bits&actionHide != 0,
		}
		a.Kind, a.From = actionKindOf(bits)
		// Outside the script the same bits say how often it runs.
		a.Rollback = a.Deferred && bits&actionRollback != 0
		a.Commit = a.Deferred && bits&actionCommit != 0
		if a.Hidden {
			a.Target = ""
		}
		list = append(list, a)
		return nil
	})
}

func actionKindOf(bits int) (kind ActionKind, from string) {
	switch bits & (actionKind | actionFrom) {
	case 7, 23, 39:
		return ActionInstall, ""
	case 19:
		return ActionError, ""
	case 35:
		return ActionDirectory, ""
	case 51:
		return ActionProperty, ""
	}
	from = [...]string{"binary", "file", "directory", "property"}[bits&actionFrom>>4]
	switch bits & actionKind {
	case 1:
		kind = ActionDLL
	case 2:
		kind = ActionEXE
	case 5:
		kind = ActionJScript
	case 6:
		kind = ActionVBScript
	default:
		return ActionUnknown, ""
	}
	switch {
	case from == "directory" && (kind == ActionJScript || kind == ActionVBScript):
		from = "inline" // types 37 and 38
	case kind == ActionDLL && bits&actionFrom > 0x10: // there are no types 33 and 49
		return ActionUnknown, ""
	}
	return kind, from
}
