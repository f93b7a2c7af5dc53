// Package drift compares three versions of one configuration: what was last
// applied to a tenant, what git wants now, and what the tenant has. Of every
// value it says who moved: git, a person in the tenant, or both.
//
// Documents are the JSON objects that Microsoft Graph takes and gives. What git
// states decides what is compared: a console adds defaults, ids and dates of its
// own to what it was given, and adds more of them as it grows, so that a
// property that neither side of git states is never a difference. The settings
// of a settings-catalog policy are the exception, since a policy holds exactly
// those that it lists: one more in the tenant is one that a person added.
//
// Lists whose elements have a name (a setting's definition, an OMA-URI) are
// compared by it, whatever their order; other lists by position. A null is the
// same as nothing. Secrets are given back as a mask or a token; of them nothing
// can be known, and they count as unchanged.
package drift
