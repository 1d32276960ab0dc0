import "./style.css";
import { readInfo } from "./net/dev_server";
import { Page } from "./page";
import { Stage } from "./map/stage";
import { element, setText } from "./ui/elements";

async function main(): Promise<void> {
  const [info, stage] = await Promise.all([readInfo(), Stage.open(element<HTMLCanvasElement>("map"))]);
  new Page(stage, info).open();
}

main().catch((error: unknown) => {
  document.body.dataset["connection"] = "closed";
  setText("toast", `This page could not start: ${error instanceof Error ? error.message : String(error)}`);
  element("toast").hidden = false;
});
