// Package readiness looks at a tenant before anything is done there, and changes
// nothing: whether it lets packmill in and how fast it answers, which permissions
// it granted, which of the service's features have reached it, what its licences
// cover, what is there already, and which changes wait for a second person.
//
// Microsoft brings features to tenants one after the other, and no document says
// which tenant has which. What can be read without a write tells: a collection
// that is served, a property that objects have. What only a write would tell stays
// unknown.
package readiness
