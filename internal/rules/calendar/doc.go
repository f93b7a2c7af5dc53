// Package calendar turns the week's steps, which people agree in local time,
// into instants.
//
// A local time is not an instant. On the day clocks go forward some local
// times do not exist, on the day they go back some exist twice, and a zone may
// drop a whole day. Go's time.Date answers each of these with some instant,
// and which one differs from zone to zone: 02:30 in the gap is an hour late in
// Amsterdam and an hour early in New York. A maintenance window that opens an
// hour early is a broken promise, so nothing in packmill asks time.Date: it
// asks Instant, which follows the week's own rule and says when there is no
// answer.
//
// Nor is every day worked. Days knows which are: by the law of a country, as
// github.com/rickar/cal/v2 has it, and by what a week or a tenant adds and takes
// out, which wins. A step of the week may move to the next working day, and a
// window may stay shut on holidays.
//
// Zone data comes with the binary (time/tzdata), so that a machine without
// zoneinfo, as many a container and every Windows machine is, tells the same
// time; where a system has its own, Go takes that first.
package calendar
