// Package updates has a tenant's Windows devices take updates of the operating
// system and of drivers, which no app can carry: Windows Update delivers them,
// and what is told to it here is who may have which one. Two services of
// Microsoft Graph do that.
//
// Intune's own profiles (deviceManagement) are objects with a description and
// assignments to groups. A profile of packmill's is found by its Marker, one
// line of its description, and by the id it was found under; assignments are a
// whole set that is read, merged and sent back with what others assigned. A slot
// of a package (fleet.Stable, fleet.Candidate) is one profile here: a quality
// update policy whose approvals are given by hand, a driver profile of the same
// kind, or a profile that offers a version of Windows, or a patch at once, to
// whoever it is assigned to. The wave's group is assigned first and the update
// approved last, so that nobody is offered what nobody was to have.
//
// The deployment service (admin/windows/updates) works with devices, not with
// groups: an audience of devices, and a deployment of one catalog entry to it. It
// spreads versions of Windows over the devices of a wave. Neither has a name or a
// description. An audience is therefore known by its id alone, which the marker of
// the slot's profile keeps, and a deployment is packmill's if its audience is.
//
// # What the service does not have
//
// An approval has no start: it is given when the wave opens and not before. It
// has no end and no way back: to suspend it stops offers, up to eight hours later
// (HoldDelay), and what is installed stays. Nobody reports failures here; that a
// device has a patch is told by its build, in the inventory.
//
// Everything is in beta. Update rings, which say when devices restart and how long
// they defer, are device configurations: packages of kind configuration bring them.
package updates
