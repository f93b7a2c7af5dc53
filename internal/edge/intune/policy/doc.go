// Package policy deploys configurations to one tenant of Microsoft Intune
// through Microsoft Graph: policies of the settings catalog, device
// configurations, compliance policies, custom profiles of macOS, and
// remediations, which are device health scripts in pairs.
//
// # What a tenant holds
//
// For every setting of a package two objects, the slots "stable" and
// "candidate", as for apps, so that waves, halts and ways back work on
// configurations as on apps. An object is packmill's by its Marker, one line in
// its description, which names the object itself: the portal's "duplicate" copies
// descriptions too, and a person's copy is the person's. Names never decide.
//
// A configuration has no start and no deadline on the console: it is in force
// from a device's next check-in after the assignment. Who assigns therefore
// waits until it is time; and to remove one is to assign it to nobody.
//
// # How content changes
//
// Settings of the catalog change only as a whole, by a PUT that Microsoft's
// description does not list. The other kinds are patched; properties that a
// release no longer states are set to null, which is why the marker keeps the
// names it stated. Content and marker change in one call, so that a run that is
// killed leaves an object as it was or as it should be.
//
// Nothing that a person changed is overwritten in silence: before a write the
// object is compared with what was last applied (package drift), and one that
// was moved is an error of kind Stalled, unless main says that it is restored.
package policy
