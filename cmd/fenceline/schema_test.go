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

// TestAPIDocumentIsCurrent compares the document of the API with the routes that it is made of, or writes it with -update.
func TestAPIDocumentIsCurrent(t *testing.T) {
	clitest.Golden(t, "../../docs/openapi.json", string(producer.APIDocument()))
}
