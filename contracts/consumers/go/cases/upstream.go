package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// What the fault-injecting upstream saw: the other side of a case.
type upstream struct{ url string }

// record is a request to the upstream and what became of it.
type record struct {
	Traceparent string          `json:"traceparent"`
	Body        json.RawMessage `json:"body"`
	Outcome     struct {
		Status *int   `json:"status"`
		End    string `json:"end"`
	} `json:"outcome"`
}

// newUpstream takes the upstream's base URL, http://host:port/v1.
func newUpstream(baseURL string) upstream {
	return upstream{strings.TrimSuffix(baseURL, "/v1") + "/_record"}
}

// forget starts the record and all counts, such as those of model flaky, anew.
func (u upstream) forget() error {
	request, err := http.NewRequest(http.MethodDelete, u.url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	return response.Body.Close()
}

// records gives the requests whose last message is prompt, oldest first.
func (u upstream) records(prompt string) ([]record, error) {
	response, err := http.Get(u.url)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var all, found []record
	if err := json.NewDecoder(response.Body).Decode(&all); err != nil {
		return nil, fmt.Errorf("the upstream's record: %w", err)
	}
	for _, each := range all {
		if lastMessage(each.Body) == prompt {
			found = append(found, each)
		}
	}
	return found, nil
}

// waitFor waits until a record of prompt matches.
func (u upstream) waitFor(prompt string, matches func(record) bool) error {
	// A local server tells within milliseconds; a loaded machine takes longer.
	end := time.Now().Add(10 * time.Second)
	for {
		found, err := u.records(prompt)
		if err != nil {
			return err
		}
		for _, each := range found {
			if matches(each) {
				return nil
			}
		}
		if time.Now().After(end) {
			return fmt.Errorf("the upstream saw no such request, but %+v", found)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// wasLeft says whether the client went away before the answer's end.
func wasLeft(r record) bool { return r.Outcome.End == "client_disconnected" }

func lastMessage(body []byte) string {
	var chat struct {
		Messages []struct {
			Content string `json:"content"`
		} `json:"messages"`
	}
	// What is no chat request has no last message.
	if json.Unmarshal(body, &chat) != nil || len(chat.Messages) == 0 {
		return ""
	}
	return chat.Messages[len(chat.Messages)-1].Content
}
