package schedule

import (
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // a machine, or an image, may have no zones of its own

	"github.com/fenceline/fenceline/suggest"
)

// UTC is the zone of schedules that name none.
const UTC = "UTC"

// familiar are zones by which a misspelt one is recognised: the largest of each region. Go has no list of all.
var familiar = []string{
	"UTC", "Etc/UTC", "Europe/London", "Europe/Dublin", "Europe/Lisbon", "Europe/Madrid", "Europe/Paris", "Europe/Brussels", "Europe/Amsterdam",
	"Europe/Berlin", "Europe/Zurich", "Europe/Vienna", "Europe/Rome", "Europe/Prague", "Europe/Warsaw", "Europe/Copenhagen", "Europe/Stockholm",
	"Europe/Oslo", "Europe/Helsinki", "Europe/Athens", "Europe/Bucharest", "Europe/Kyiv", "Europe/Istanbul", "Europe/Moscow",
	"America/New_York", "America/Chicago", "America/Denver", "America/Phoenix", "America/Los_Angeles", "America/Anchorage", "America/Toronto",
	"America/Vancouver", "America/Halifax", "America/Mexico_City", "America/Bogota", "America/Lima", "America/Santiago", "America/Sao_Paulo",
	"America/Argentina/Buenos_Aires", "Pacific/Honolulu", "Pacific/Auckland", "Australia/Sydney", "Australia/Melbourne", "Australia/Brisbane",
	"Australia/Adelaide", "Australia/Perth", "Asia/Tokyo", "Asia/Seoul", "Asia/Shanghai", "Asia/Hong_Kong", "Asia/Taipei", "Asia/Singapore",
	"Asia/Manila", "Asia/Jakarta", "Asia/Bangkok", "Asia/Ho_Chi_Minh", "Asia/Kolkata", "Asia/Karachi", "Asia/Dhaka", "Asia/Kathmandu",
	"Asia/Dubai", "Asia/Tehran", "Asia/Jerusalem", "Asia/Riyadh", "Africa/Cairo", "Africa/Johannesburg", "Africa/Lagos", "Africa/Nairobi",
}

// CheckZone tells whether name is a time zone of the IANA database. The machine's own, Local, is none: producers on
// several machines are to agree.
func CheckZone(name string) error {
	_, err := zone(name)
	return err
}

func zone(name string) (*time.Location, error) {
	const such = "such as Europe/Berlin or UTC"
	switch {
	case name == "":
		return nil, fmt.Errorf("is empty: name a time zone %s, or leave it out for UTC", such)
	case strings.EqualFold(name, "local"):
		return nil, fmt.Errorf("%q is another zone on each machine: name one, %s", name, such)
	}
	for _, f := range familiar { // macOS and Windows open EUROPE/berlin, others don't
		if f != name && strings.EqualFold(f, name) {
			return nil, fmt.Errorf("time zone %q is written %q", name, f)
		}
	}
	l, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("%q is no time zone%s: give the name that the IANA database has, %s", shorten(name), suggest.DidYouMean(name, familiar), such)
	}
	return l, nil
}
