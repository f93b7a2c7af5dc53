package msi

import (
	"strings"
)

// An Upgrade is a row of the Upgrade table: a range of versions of related
// products that are looked for and, unless only detected, removed.
type Upgrade struct {
	UpgradeCode  string
	VersionMin   string // "" is without a lower end
	VersionMax   string // "" is without an upper end
	MinInclusive bool
	MaxInclusive bool
	Language     string // LCIDs, separated by commas; "" is all
	// LanguagesExcluded turns Language round: all but these.
	LanguagesExcluded bool
	OnlyDetect        bool   // what is found stays
	IgnoreFailure     bool   // the installation goes on when a removal fails
	MigrateFeatures   bool   // the same features are chosen again
	Remove            string // features; "" is all
	Property          string // takes the product codes that were found
}

// Attributes of the Upgrade table.
const (
	upgradeMigrate       = 0x001
	upgradeOnlyDetect    = 0x002
	upgradeIgnoreFailure = 0x004
	upgradeMinInclusive  = 0x100
	upgradeMaxInclusive  = 0x200
	upgradeExclude       = 0x400
)

// Upgrades reads the Upgrade table, in its order.
func (f *File) Upgrades() ([]Upgrade, error) {
	var list []Upgrade
	columns := []string{"UpgradeCode", "VersionMin", "VersionMax", "Attributes", "ActionProperty", "?", "Language", "Remove"}
	return list, f.view("Upgrade", columns, func(r Row, c []int) error {
		attributes, _ := r.Int(c[3])
		list = append(list, Upgrade{
			UpgradeCode:       r.Text(c[0]),
			VersionMin:        r.Text(c[1]),
			VersionMax:        r.Text(c[2]),
			MinInclusive:      attributes&upgradeMinInclusive != 0,
			MaxInclusive:      attributes&upgradeMaxInclusive != 0,
			Language:          r.Text(c[5]),
			LanguagesExcluded: attributes&upgradeExclude != 0,
			OnlyDetect:        attributes&upgradeOnlyDetect != 0,
			IgnoreFailure:     attributes&upgradeIgnoreFailure != 0,
			MigrateFeatures:   attributes&upgradeMigrate != 0,
			Remove:            r.Text(c[6]),
			Property:          r.Text(c[4]),
		})
		return nil
	})
}

// A LaunchCondition must hold or the installation ends with its message.
type LaunchCondition struct {
	Condition string // the installer's expression, such as `VersionNT >= 603`
	Message   string
}

// LaunchConditions reads the LaunchCondition table, in its order.
func (f *File) LaunchConditions() ([]LaunchCondition, error) {
	var list []LaunchCondition
	return list, f.view("LaunchCondition", []string{"Condition", "Description"}, func(r Row, c []int) error {
		list = append(list, LaunchCondition{Condition: r.Text(c[0]), Message: r.Text(c[1])})
		return nil
	})
}

// A Feature is what a user may choose, by ADDLOCAL on a command line.
type Feature struct {
	ID          string
	Parent      string // "" at the top
	Title       string
	Description string
	Level       int // 0 is never installed; else where it does not exceed INSTALLLEVEL, 1 as a rule
}

// Features reads the Feature table, in its order.
func (f *File) Features() ([]Feature, error) {
	var list []Feature
	return list, f.view("Feature", []string{"Feature", "Level", "?", "Feature_Parent", "Title", "Description"}, func(r Row, c []int) error {
		level, _ := r.Int(c[1])
		list = append(list, Feature{ID: r.Text(c[0]), Parent: r.Text(c[2]), Title: r.Text(c[3]), Description: r.Text(c[4]), Level: level})
		return nil
	})
}

// A Cabinet is a medium of the Media table with packed files.
type Cabinet struct {
	Name     string // of the embedded stream, for [File.Open], or of the file beside the MSI
	Embedded bool
	Size     int64 // bytes; 0 when it is not embedded
	Disk     int
}

// Cabinets reads the Media table, in its order. Media without a cabinet are left
// out; an embedded cabinet that is not there is an error.
func (f *File) Cabinets() ([]Cabinet, error) {
	var list []Cabinet
	return list, f.view("Media", []string{"DiskId", "Cabinet"}, func(r Row, c []int) error {
		name := r.Text(c[1])
		if name == "" {
			return nil
		}
		disk, _ := r.Int(c[0])
		one := Cabinet{Name: name, Disk: disk}
		if one.Name, one.Embedded = strings.CutPrefix(name, "#"); one.Embedded {
			s, ok := f.container.root[encodeName(one.Name)]
			if !ok {
				return r.fail(c[1], "the embedded cabinet %q is not there", one.Name)
			}
			one.Size = s.Size
		}
		list = append(list, one)
		return nil
	})
}
