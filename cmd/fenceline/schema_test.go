package main

import (
	"testing"

	"github.com/fenceline/fenceline/cli/clitest"
	"github.com/fenceline/fenceline/producer"
)

// TestSchemaIsCurrent compares the schema of pipeline files with the code that reads them, or writes it with -update.
func TestSchemaIsCurrent(t *testing.T) {
	clitest.Golden(t, "../../docs/fenceline.schema.json", string(producer.FileSchema().JSON()))
}
