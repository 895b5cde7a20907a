// Command example asks Signalbox for an answer, and shows it while it is written:
//
//	go run ./example 127.0.0.1:50051 MODEL "a question"
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"google.golang.org/grpc/credentials/insecure"

	"signalbox.dev/contracts/consumers/go/signalbox"
)

func main() {
	if len(os.Args) != 4 {
		log.Fatal("usage: example TARGET MODEL QUESTION")
	}
	client, err := signalbox.New(os.Args[1], insecure.NewCredentials())
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for text, err := range client.StreamChat(ctx, os.Args[2], os.Args[3]) {
		if err != nil {
			problem := signalbox.DetailsOf(err)
			log.Fatalf("%v %s: %s", problem.Code, problem.Reason, problem.Message)
		}
		fmt.Print(text)
	}
	fmt.Println()
}
