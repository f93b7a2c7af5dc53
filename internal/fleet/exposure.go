package fleet

// An Exposure is how many devices and tenants may newly get a release before
// more persons must approve it. A budget that is nil raises nothing.
type Exposure struct {
	PerMerge *Budget `json:"perMerge,omitempty"` // by the plan that one merge approves
	PerHour  *Budget `json:"perHour,omitempty"`  // by all merges of one hour together
}

// A Budget is a number of devices, of tenants or both, nil for no limit, and
// how many persons must approve what goes beyond either.
type Budget struct {
	Devices   *int `json:"devices,omitempty"`
	Tenants   *int `json:"tenants,omitempty"`
	Approvers int  `json:"approvers"`
}
