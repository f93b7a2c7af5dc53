package fleet

// Holidays are days that are not worked: those of a country, with days put in
// and taken out. What is written here wins over the country.
type Holidays struct {
	Country string            `json:"country,omitempty"` // ISO 3166: "DE", "DE-BY"; "" for no country's
	Add     map[string]string `json:"add,omitempty"`     // date (2006-01-02) → why it is not worked
	Remove  []string          `json:"remove,omitempty"`  // dates that are worked, weekends too
}
